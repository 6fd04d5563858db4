package iptables

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"replypath/marks"
)

// Tables has the mangle tables of one family, one for each backend whose commands are installed.
type Tables struct {
	NFT, Legacy *Table
	Default     marks.Backend // of the command iptables or ip6tables, else of the first that is found
}

// Open finds the iptables commands of a family. It returns an error if there are none.
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

// AreMissing reports whether an error of Open says that the commands are missing, and nothing else.
func AreMissing(err error) bool {
	all, joined := err.(interface{ Unwrap() []error })
	return joined && !slices.ContainsFunc(all.Unwrap(), func(err error) bool { return !errors.Is(err, marks.ErrNotFound) })
}

// hasBackend reports whether the command's backend was already found by a shorter name.
func (ts Tables) hasBackend(command string) bool {
	return ts.NFT != nil && strings.HasSuffix(command, "-nft") || ts.Legacy != nil && strings.HasSuffix(command, "-legacy")
}

func (ts *Tables) add(t *Table, base bool) {
	if base || ts.Default == "" {
		ts.Default = t.backend
	}
	if t.backend == marks.Legacy {
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
	// update-alternatives can point the two to different backends.
	if other, err := commandBackend(ctx, restore); err != nil {
		return nil, err
	} else if other != backend {
		return nil, fmt.Errorf("%s works on %s but %s on %s: set them alike: update-alternatives --config %s",
			path, backend, restore, other, command)
	}
	return &Table{backend: backend, command: command, path: path, restorePath: restore}, nil
}

// findCommand returns the path of a command. It also looks in sbin, which the PATH of ordinary users often lacks.
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
	return "", fmt.Errorf("%s: %w: install the package iptables", command, marks.ErrNotFound)
}

// multicallBackends has the backends of the binaries that the commands are links to, since iptables 1.8.
var multicallBackends = map[string]marks.Backend{"xtables-nft-multi": marks.NFT, "xtables-legacy-multi": marks.Legacy}

// commandBackend returns the backend of a command, by the binary that it is a link to, else by its version.
func commandBackend(ctx context.Context, path string) (marks.Backend, error) {
	if program, err := filepath.EvalSymlinks(path); err == nil {
		if b, known := multicallBackends[filepath.Base(program)]; known {
			return b, nil
		}
	}
	return versionBackend(ctx, path)
}

// versionBackend returns the backend that a command prints with its version. Before iptables 1.8 it printed none:
// legacy.
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
