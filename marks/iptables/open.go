package iptables

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"replypath/marks"
)

// Tables are the mangle tables of one family, in both backends as far as they exist on the host.
type Tables struct {
	NFT, Legacy *Table
	Default     marks.Backend // of the command called iptables or ip6tables, or of the first that there is
}

// Open looks for the iptables commands of a family. It is an error when there are none.
func Open(ctx context.Context, ipv6 bool) (Tables, error) {
	base := "iptables"
	if ipv6 {
		base = "ip6tables"
	}
	var ts Tables
	var errs []error
	groups := readLinkGroups()
	for _, command := range []string{base, base + "-nft", base + "-legacy"} {
		if ts.hasBackend(command) {
			continue
		}
		t, err := openTable(ctx, command)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		t.linkGroups = groups
		ts.add(t, command == base)
	}
	if ts.NFT == nil && ts.Legacy == nil {
		return ts, errors.Join(errs...)
	}
	return ts, nil
}

// hasBackend reports whether the command cannot add anything: its backend is known by a shorter name.
func (ts Tables) hasBackend(command string) bool {
	return ts.NFT != nil && strings.HasSuffix(command, "-nft") || ts.Legacy != nil && strings.HasSuffix(command, "-legacy")
}

func (ts *Tables) add(t *Table, base bool) {
	if base || ts.Default == "" {
		ts.Default = t.Backend
	}
	if t.Backend == marks.Legacy {
		ts.Legacy = t
	} else {
		ts.NFT = t
	}
}

func openTable(ctx context.Context, command string) (*Table, error) {
	path, err := findCommand(command)
	if err != nil {
		return nil, err
	}
	restore, err := findCommand(command + "-restore")
	if err != nil {
		return nil, err
	}
	backend, err := commandBackend(ctx, path)
	if err != nil {
		return nil, err
	}
	// An administrator can set the two apart.
	if other, err := commandBackend(ctx, restore); err != nil {
		return nil, err
	} else if other != backend {
		return nil, fmt.Errorf("%s works on %s but %s on %s: set them alike: update-alternatives --config %s",
			path, backend, restore, other, command)
	}
	return &Table{Backend: backend, Command: command, path: path, restorePath: restore}, nil
}

// findCommand looks in the usual places too, as an ordinary user's PATH often has no sbin.
func findCommand(command string) (string, error) {
	if path, err := exec.LookPath(command); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		path := filepath.Join(dir, command)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w: install the package iptables", command, ErrNotFound)
}

// multicallBackends are what the commands of a backend are links to, as iptables has been built since there are two.
var multicallBackends = map[string]marks.Backend{"xtables-nft-multi": marks.NFT, "xtables-legacy-multi": marks.Legacy}

// commandBackend tells which backend a command works on, by the program that it is a link to, else by asking it.
func commandBackend(ctx context.Context, path string) (marks.Backend, error) {
	if program, err := filepath.EvalSymlinks(path); err == nil {
		if b, known := multicallBackends[filepath.Base(program)]; known {
			return b, nil
		}
	}
	return versionBackend(ctx, path)
}

// versionBackend asks a command which backend it works on. Before there were two it did not say.
func versionBackend(ctx context.Context, path string) (marks.Backend, error) {
	stdout, stderr, err := runCommand(ctx, "", path, "--version")
	if err != nil {
		return "", fmt.Errorf("%s --version: %w: %s", path, err, strings.TrimSpace(stdout+stderr))
	}
	if strings.Contains(stdout+stderr, "nf_tables") {
		return marks.NFT, nil
	}
	return marks.Legacy, nil
}
