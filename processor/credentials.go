package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"tributary/processor/access"
)

// passwordCommand prints what stands in password_hash.
type passwordCommand struct{}

// Help is shown under --help.
func (passwordCommand) Help() string {
	return `Reads the password from standard input, one line; at a terminal it makes one, so that none is typed where others see
it. A changed hash ends the user's sessions.`
}

func (passwordCommand) Run(app *kong.Kong) error {
	info, err := os.Stdin.Stat()
	if err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return printHash(app.Stdout, nil)
	}
	return printHash(app.Stdout, os.Stdin)
}

// printHash prints the hash of the password that stands in the first line of in; without in, a new
// password and its hash.
func printHash(out io.Writer, in io.Reader) error {
	password := rand.Text()
	if in != nil {
		var err error
		if password, err = firstLine(in); err != nil {
			return fmt.Errorf("read the password: %w", err)
		}
	} else {
		fmt.Fprintln(out, "password:      ", password)
	}
	hash, err := access.HashPassword(password)
	if err != nil {
		return err
	}
	if in == nil {
		hash = "password_hash:  " + hash
	}
	_, err = fmt.Fprintln(out, hash)
	return err
}

// firstLine returns the first line of in, of at most 4 KiB, without its end.
func firstLine(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, 4<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// tokenCommand makes a bearer token.
type tokenCommand struct{}

func (tokenCommand) Run(app *kong.Kong) error {
	token, hash := access.NewToken()
	_, err := fmt.Fprintf(app.Stdout, "token:        %s\ntoken_hashes: %q\n", token, hash)
	return err
}

// viewCommand makes a link for an affiliate.
type viewCommand struct {
	signingSettings
	workspacesFile
	oneWorkspace
	Affiliate string `help:"Affiliate whose figures the link shows, by the id that links have." required:""`
	Days      int    `help:"How many days the link is good for." default:"90"`
}

// Help is shown under --help.
func (viewCommand) Help() string {
	return `Whoever has the link sees the figures until it expires. A new --dashboard-key makes all links void.
--dashboard-url and --dashboard-key must be those that the dashboard runs with.`
}

func (c *viewCommand) Run(app *kong.Kong) error {
	public, key, err := c.signing()
	if err := errors.Join(err, c.choose(&c.workspacesFile)); err != nil {
		return err
	}
	views, err := access.NewViews(key, public)
	if err != nil {
		return err
	}
	now := time.Now()
	link, err := views.Link(c.Workspace, c.Affiliate, "", now, now.AddDate(0, 0, c.Days))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(app.Stdout, link)
	return err
}
