Console.WriteLine(Shop.Lib.Greeting.For("container"));
