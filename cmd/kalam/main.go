// Command kalam is KalamDB: the server and the tools to work with it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"golang.org/x/term"
)

// version is the version of the program; the build sets its date.
const version = "0.1.0"

var date = "unknown"

// Exit codes: 0 done, 1 failed, 2 called wrongly, 130 a statement was ended by
// Ctrl-C.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

type cli struct {
	Serve    serveCmd    `cmd:"" help:"Run the server."`
	Setup    setupCmd    `cmd:"" help:"Set up a new server: its first admin and the password of root."`
	Signup   signupCmd   `cmd:"" help:"Create an account, and keep its session."`
	Login    loginCmd    `cmd:"" help:"Sign in and keep the session."`
	Logout   logoutCmd   `cmd:"" help:"End the kept session."`
	Auth     authCmd     `cmd:"" help:"Look at the kept session: status, doctor."`
	Sessions sessionsCmd `cmd:"" help:"List and end your sessions."`
	Passwd   passwdCmd   `cmd:"" help:"Change your password."`
	APIKey   apikeyCmd   `cmd:"" name:"apikey" help:"Keys for machines: create, list, revoke."`
	Keys     keysCmd     `cmd:"" help:"Rotate the keys of a server."`
	UserCmd  userCmd     `cmd:"" name:"user" help:"Set a password on a stopped server."`
	SQL      sqlCmd      `cmd:"" name:"sql" help:"Run statements, follow live queries, or open a shell."`
	Topic    topicCmd    `cmd:"" help:"Make topics, watch their messages and their consumers."`
	File     fileCmd     `cmd:"" help:"Put files into rows and get them."`
	Invite   inviteCmd   `cmd:"" help:"Invite people to sign up: create, list, revoke."`
	Mail     mailCmd     `cmd:"" help:"Check how a server sends mails."`
	Backup   backupCmd   `cmd:"" help:"Copy the data of a running server."`
	Hash     hashCmd     `cmd:"" name:"hash-worker" hidden:""`
	Version  versionCmd  `cmd:"" help:"Print the version."`

	PrintVersion kong.VersionFlag `name:"version" short:"V" help:"Print the version."`
}

// Help is what kalam --help says beside the commands.
func (cli) Help() string {
	return `A first look, in two terminals:

    kalam serve --demo
    kalam login alice                             (the password is Secret123!)
    kalam sql -e "SELECT * FROM chat.messages"

kalam COMMAND --help tells more about a command.`
}

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// isTerminal reports whether a stream is a person's terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// usageError is a command line that makes no sense.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

type versionCmd struct{}

func versionText() string { return fmt.Sprintf("kalam %s (built %s)", version, date) }

func (versionCmd) Run(s *streams) error {
	_, err := fmt.Fprintln(s.out, versionText())
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
		kong.Vars{"version": versionText()},
	)
	if err != nil {
		fmt.Fprintln(s.err, "kalam:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	} else if args[0] == "help" {
		args = append(args[1:len(args):len(args)], "--help")
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(s.err, "kalam: %v\nRun %s --help to see what there is.\n", err, commandOf(err))
		return exitUsage
	}
	err = ctx.Run()
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(s.err, "kalam: %v\nRun %s --help to see how.\n", err, ctx.Selected().FullPath())
		return exitUsage
	}
	fmt.Fprintln(s.err, "kalam:", err)
	if errors.Is(err, errInterrupted) {
		return exitInterrupted
	}
	return exitFailed
}

// commandOf is the command that a wrong command line was meant for, as far as it
// could be read.
func commandOf(err error) string {
	name := "kalam"
	if wrong := (*kong.ParseError)(nil); errors.As(err, &wrong) {
		for _, p := range wrong.Context.Path {
			if p.Command != nil {
				name = p.Command.FullPath()
			}
		}
	}
	return name
}

// interruptible is the context of a command that Ctrl-C ends.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}
