using Newtonsoft.Json;

namespace Shop.Lib;

public static class Greeting
{
    public static string For(string name) => JsonConvert.SerializeObject(new { hello = name });
}
