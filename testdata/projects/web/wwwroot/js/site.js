document.title = "a page from a container";
