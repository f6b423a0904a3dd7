Console.WriteLine("hello from two platforms");
