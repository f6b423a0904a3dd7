// Demoregistry is the registry of scripts/demo: olareg on loopback, with a
// base image in it, that tells what each publish did.
//
//	demoregistry serve DIR            storage and "address" file in DIR; ends on SIGTERM
//	demoregistry reset HOST           forgets the requests so far
//	demoregistry report HOST          one line: requests, bytes up, layers
//	demoregistry get URL              prints what a web server answers
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gantry-build/gantry/internal/tools/imagestats"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demoregistry:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: demoregistry serve DIR | reset HOST | report HOST | get URL")
	}
	switch args[0] {
	case "serve":
		return serve(ctx, args[1])
	case "reset":
		_, err := call(ctx, http.MethodPost, "http://"+args[1]+resetPath)
		return err
	case "report":
		return report(ctx, args[1])
	case "get":
		body, err := call(ctx, http.MethodGet, args[1])
		if err == nil {
			_, err = os.Stdout.Write(body)
		}
		return err
	}
	return fmt.Errorf("%s: no such command", args[0])
}

// report prints what happened since the last reset.
func report(ctx context.Context, host string) error {
	body, err := call(ctx, http.MethodGet, "http://"+host+statsPath)
	if err != nil {
		return err
	}
	var s imagestats.Stats
	if err := json.Unmarshal(body, &s); err != nil {
		return err
	}
	layers := "not written"
	if s.Layers > 0 {
		layers = fmt.Sprintf("%d up, %d mounted, of %d", s.LayersUp, s.LayersMounted, s.Layers)
	}
	_, err = fmt.Printf("%8d  %9s  %-24s\n", s.Requests, size(s.Up), layers)
	return err
}

// size is bytes for people, in powers of ten.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func call(ctx context.Context, method, u string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, u, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s: %s", method, u, res.Status, body)
	}
	return body, nil
}
