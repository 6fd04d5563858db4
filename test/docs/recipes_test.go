package docs

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"replypath/etc"
	"replypath/test/box"
	"replypath/test/house"
	"replypath/test/world"
)

// recipeRun is a scene that is played.
type recipeRun struct {
	*box.Box
	t             *testing.T
	service       *box.Service
	tunnel        []string     // the lines of wg0.conf
	kinds         []world.Kind // of the client's requests
	checks        []func(t *testing.T)
	inside        *world.Host // a container or a pod
	serving       bool        // the client has servers too
	healthyBefore bool        // also before anything is done
	group         string      // the control group that takes the place of the root in [udp]
}

// Each scene is run: in its world the client misses replies; the commands of the page are typed, and their output is compared;
// then every reply to the client leaves by its ingress.
func TestRecipesWork(t *testing.T) {
	t.Parallel()
	all, err := parseScenes(string(etc.Recipes))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d scenes", len(all))
	}
	for _, s := range all {
		t.Run(fmt.Sprintf("%s, line %d", s.title, s.line), func(t *testing.T) {
			t.Parallel()
			c := s.build(t)
			if c.missesReplies() == c.healthyBefore {
				t.Errorf("before the recipe the client suffers: %t", !c.healthyBefore)
			}
			for _, b := range s.blocks {
				c.runBlock(b)
			}
			c.wantAllReplies()
		})
	}
}

// runBlock does what stands in a block.
func (c *recipeRun) runBlock(b codeBlock) {
	c.t.Helper()
	switch b.language {
	case "toml":
		text := strings.Join(b.lines, "\n") + "\n"
		if asked := "answer = \"asked\"\n"; c.group != "" {
			text = strings.Replace(text, asked, asked+fmt.Sprintf("cgroup = %q\n", c.group), 1)
		}
		c.Write(text)
	case "ini":
		c.tunnel = b.lines
	case "console":
		all, err := b.session()
		if err != nil {
			c.t.Fatal(err)
		}
		for _, command := range all {
			c.runTyped(command)
		}
	case "squid", "unbound":
		c.startProxy(b)
	default:
		c.t.Fatalf("line %d: a block of %q cannot be run", b.line, b.language)
	}
}

// runTyped types a command. While the service runs, what one sees may take it a moment.
func (c *recipeRun) runTyped(command typedCommand) {
	c.t.Helper()
	switch strings.Join(command.command, " ") {
	case "systemctl enable --now replypath":
		c.service = c.Start()
		return
	case "wg-quick up wg0":
		c.tunnelUp()
		return
	case "wg-quick down wg0":
		c.tunnelDown()
		return
	}
	patience := time.Duration(0)
	if c.service != nil && command.readOnly() {
		patience = box.EventualTimeout
	}
	for until := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		output, status := c.runWords(command.command)
		if command.fits(output) && status == command.status {
			return
		}
		if !time.Now().Before(until) {
			c.t.Errorf("etc/recipes.md, line %d: %s\n%s(exit status %d)\nThe page says:\n%s\n(exit status %d)", command.line,
				strings.Join(command.command, " "), output, status, strings.Join(command.output, "\n"), command.status)
			return
		}
	}
}

// readOnly reports whether a command changes nothing, so that it may be typed again.
func (c typedCommand) readOnly() bool {
	readers := map[string][]string{
		"replypath": {"status", "verify", "explain", "check", "plan", "doctor"},
		"ip":        {"show", "get"},
	}
	return slices.ContainsFunc(readers[c.command[0]], func(word string) bool { return slices.Contains(c.command, word) })
}

// runWords runs a command on the gateway, without a shell.
func (c *recipeRun) runWords(words []string) (output string, status int) {
	c.t.Helper()
	var command *world.Command
	switch words[0] {
	case "replypath":
		command = c.Command(c.t.Context(), words[1:]...)
	case "ip", "iptables", "ip6tables", "sysctl":
		command = c.Gateway.Command(c.t.Context(), words[0], words[1:]...)
	default:
		c.t.Fatalf("%q is no command of these recipes", words[0])
	}
	out, err := command.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		c.t.Fatalf("%s: %v", strings.Join(words, " "), err)
	}
	return strings.ReplaceAll(string(out), c.Config, "/etc/replypath/replypath.toml"), command.ProcessState.ExitCode()
}

// missesReplies reports whether the client misses an answer.
func (c *recipeRun) missesReplies() bool {
	var missed atomic.Bool
	var requested sync.WaitGroup
	for _, u := range c.Uplinks {
		for _, to := range u.Addrs() {
			for _, kind := range c.kinds {
				requested.Go(func() {
					q := box.NewRequest(kind, to)
					q.ExpectTimeout = !c.healthyBefore
					if a := c.Client.Send(q); !a.OK {
						missed.Store(true)
					}
				})
			}
		}
	}
	requested.Wait()
	return missed.Load()
}

// wantAllReplies wants every reply by its ingress. The ISPs ask for the gateway's addresses anew: an address that was missing a moment
// ago may still be on its way to "unreachable", and with it every packet that waits for it.
func (c *recipeRun) wantAllReplies() {
	c.t.Helper()
	for _, u := range c.Uplinks {
		u.ISP.Run("ip", "neigh", "flush", "all")
		u.ISP.Run("ip", "-6", "neigh", "flush", "all")
	}
	c.RecordEgress().WantRepliesFromAll(c.t, c.Client, c.kinds)
	for _, check := range c.checks {
		check(c.t)
	}
}

func TestRecipesCoverEveryVerifyCause(t *testing.T) {
	causes := regexp.MustCompile(`(?m)^\s+\w+\s+Cause = "([a-z-]+)"`).FindAllStringSubmatch(house.Text(t, "health"), -1)
	if len(causes) < 5 {
		t.Fatalf("only the causes %v", causes)
	}
	for _, cause := range causes {
		if !strings.Contains(string(etc.Recipes), "\n### `"+cause[1]+"`\n") {
			t.Errorf("the cause %s has no heading", cause[1])
		}
	}
}
