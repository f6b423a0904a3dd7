using Markdig;
using Newtonsoft.Json;

var app = WebApplication.CreateBuilder(args).Build();
app.MapStaticAssets();
app.MapGet("/", () => JsonConvert.SerializeObject(new { greeting = "hello from a container" }));
app.MapGet("/page", () => Results.Content(Markdown.ToHtml("*hello* from a container"), "text/html"));
app.Run();
