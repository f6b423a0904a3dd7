Console.WriteLine("hello from a container");
foreach (var arg in args)
{
    Console.WriteLine($"argument {arg}");
}
