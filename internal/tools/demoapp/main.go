// Demoapp is the web app of scripts/demo on machines without .NET: a static
// binary that answers a greeting from a file beside it.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

func main() {
	program, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	greeting := filepath.Join(filepath.Dir(program), "greeting.txt")
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", os.Getenv("ASPNETCORE_HTTP_PORTS")))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("Now listening on: http://%s\n", listener.Addr())
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, greeting)
	})}
	log.Fatal(server.Serve(listener))
}
