// Command kalam is KalamDB: the server and the tools to work with it.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// version is the version of the program; the build sets commit and date.
const version = "0.1.0"

var date = "unknown"

// Exit codes: 0 done, 1 failed, 2 called wrongly.
const (
	exitFailed = 1
	exitUsage  = 2
)

type cli struct {
	Serve   serveCmd   `cmd:"" help:"Run the server."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

type versionCmd struct{}

func (versionCmd) Run(s *streams) error {
	_, err := fmt.Fprintf(s.out, "kalam %s (built %s)\n", version, date)
	return err
}

func main() {
	os.Exit(run(os.Args[1:], &streams{os.Stdin, os.Stdout, os.Stderr}))
}

// run executes one command line and returns the exit code.
func run(args []string, s *streams) int {
	var c cli
	parser, err := kong.New(&c,
		kong.Name("kalam"),
		kong.Description("KalamDB: a SQL database that knows who is asking. Private tables for every user, live queries, one binary and one data folder."),
		kong.Writers(s.out, s.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Bind(s),
	)
	if err != nil {
		fmt.Fprintln(s.err, "kalam:", err)
		return exitFailed
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(s.err, "kalam: %v\nRun kalam --help to see what there is.\n", err)
		return exitUsage
	}
	if err := ctx.Run(); err != nil {
		fmt.Fprintln(s.err, "kalam:", err)
		return exitFailed
	}
	return 0
}
