using System.Globalization;
using CsvHelper;
using Markdig;
using Newtonsoft.Json;
using NodaTime;

var builder = WebApplication.CreateBuilder(args);
var app = builder.Build();
app.MapStaticAssets();

// The line that the demo changes.
const string Greeting = "hello from the first publish";

app.MapGet("/", () => Greeting);
app.MapGet("/about", () => Results.Content(Markdown.ToHtml("# A shop\n\n*open every day*"), "text/html"));
app.MapGet("/time", () => SystemClock.Instance.GetCurrentInstant().ToString());
app.MapGet("/prices", () =>
{
    using var reader = new CsvReader(new StringReader(Prices.Csv), CultureInfo.InvariantCulture);
    return Results.Content(JsonConvert.SerializeObject(reader.GetRecords<Price>()), "application/json");
});

app.Run();

internal sealed record Price(string Name, decimal Amount);

internal static class Prices
{
    public const string Csv = "Name,Amount\ntea,2.50\ncoffee,3.10\n";
}
