using Xunit;

public class SumTest
{
    [Fact]
    public void Adds() => Assert.Equal(4, 2 + 2);
}
