// Command mesh runs istiod and simulates the controllers of Kubernetes for real Envoys, on one machine and without a
// cluster. It reads Kubernetes and Istio objects as YAML streams, e.g. the output of `helm template`:
//
//	mesh check FILE...                    decodes every object strictly and validates Istio objects
//	mesh serve -replicas FILE... FILE...  the same, then serves the configuration that istiod generates
//
// Unknown kinds, unknown or repeated fields, and objects that istiod would reject are errors that name the object.
//
// The process ends when standard input is closed, so it never outlives its parent. A line on standard input reloads the
// files: changed objects and replicas are served live. After each reload, "ok" or "error: ..." is printed.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/test"
)

// Upstream Envoy does not contain Istio's own filters. Istio reads these variables before main.
var settings = []string{
	"PILOT_ENABLE_ALPN_FILTER=false", "PILOT_ENABLE_METADATA_EXCHANGE=false", "PILOT_DISABLE_MX_ALPN=true",
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mesh:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: mesh check FILE... | mesh serve [FLAG...] FILE...")
	}
	switch args[0] {
	case "check":
		objects, err := read(args[1:], "default")
		if err == nil {
			fmt.Printf("%d objects are well-formed\n", len(objects.kubernetes)+len(objects.istio))
		}
		return err
	case "serve":
		if err := again(); err != nil {
			return err
		}
		return serve(args[1:])
	}
	return fmt.Errorf("unknown command: %s (check, serve)", args[0])
}

// again replaces this process by the same program, with the variables that Istio reads before main.
func again() error {
	name, _, _ := strings.Cut(settings[0], "=")
	if _, ok := os.LookupEnv(name); ok {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, append(os.Environ(), settings...))
}

// logWarnings limits the logs of Istio to warnings, on standard error.
func logWarnings() error {
	options := log.DefaultOptions()
	options.OutputPaths = []string{"stderr"}
	options.SetDefaultOutputLevel(log.OverrideScopeName, log.WarnLevel)
	for _, scope := range log.Scopes() {
		scope.SetOutputLevel(log.WarnLevel)
	}
	return log.Configure(options)
}

func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	plan := plan{}
	flags.StringVar(&plan.namespace, "namespace", "default", "namespace of objects that name none")
	flags.StringVar(&plan.mesh, "mesh", "", "values of istiod's own chart, with its meshConfig")
	flags.StringVar(&plan.replicas, "replicas", "", "file with the processes that stand for pods")
	xds := flags.String("xds", "127.0.0.1:15010", "address that configuration is served on")
	sds := flags.String("sds", "127.0.0.1:15012", "address that certificates are served on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	plan.files = flags.Args()
	for _, address := range []string{*xds, *sds} {
		if host, _, err := net.SplitHostPort(address); err != nil || !net.ParseIP(host).IsLoopback() {
			return fmt.Errorf("%s is not a loopback address", address)
		}
	}
	if err := logWarnings(); err != nil {
		return err
	}
	authority, err := newAuthority()
	if err != nil {
		return err
	}
	if err := authority.serve(*sds); err != nil {
		return err
	}
	return test.Wrap(func(t test.Failer) {
		istiod, err := start(t, plan, authority, *xds)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("ok")
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			if err := istiod.reload(); err != nil {
				fmt.Println("error:", strings.ReplaceAll(err.Error(), "\n", " "))
			} else {
				fmt.Println("ok")
			}
		}
	})
}
