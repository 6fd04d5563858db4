package iptables

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"replypath/marks"
)

// What can be wrong with the iptables commands, apart from what they were asked to do.
var (
	ErrNotFound     = errors.New("not found")
	ErrLocked       = errors.New("the xtables lock is held by another program")
	ErrMissing      = errors.New("the kernel or iptables lacks a match or target")
	ErrTimeout      = errors.New("it does not end")
	ErrPermission   = errors.New("not permitted")
	ErrNameConflict = errors.New("nftables has a table or chain of that name, made by another program, that iptables cannot use")
	ErrReferenced   = errors.New("a rule of somebody else jumps to a chain of ours")
)

// errorPatterns are the words by which iptables tells these, in its versions and backends.
var errorPatterns = []struct {
	err        error
	substrings []string
}{
	{ErrLocked, []string{"xtables lock", "Can't lock"}},
	{ErrPermission, []string{"you must be root", "Permission denied", "Operation not permitted"}},
	{ErrReferenced, []string{"Too many links", "Device or resource busy", "CHAIN_DEL failed", "CHAIN_USER_DEL failed"}},
	{ErrNameConflict, []string{"CHAIN_ADD failed (Operation not supported)", "CHAIN_USER_ADD failed (File exists)"}},
	{ErrMissing, []string{"Couldn't load", "No chain/target/match by that name", "missing kernel module", "not supported",
		"unknown option", "RULE_APPEND failed (No such file", "can't initialize", "No such file or directory"}},
}

// remedies say what to do.
var remedies = map[error]string{
	ErrLocked:       "see who holds it: fuser -v /run/xtables.lock",
	ErrPermission:   "run as root, or with the capability CAP_NET_ADMIN",
	ErrNameConflict: "see it: nft list ruleset; have it use another name, or delete it and try again",
	ErrReferenced:   "see which: iptables-save -t mangle, or nft list ruleset; delete that rule and try again",
}

// classify finds out what it means that iptables has failed.
func (t *Table) classify(operation string, err error) error {
	stderr := strings.Join(strings.Fields(err.Error()), " ")
	for _, s := range errorPatterns {
		for _, word := range s.substrings {
			if strings.Contains(stderr, word) {
				return t.describe(operation, s.err, stderr)
			}
		}
	}
	return fmt.Errorf("%s: %s: %w", t.Command, operation, err)
}

// describe says what was tried, what it means, what iptables said, and what to do.
func (t *Table) describe(operation string, err error, stderr string) error {
	remedy := ""
	if r := remedies[err]; r != "" {
		remedy = ": " + strings.ReplaceAll(r, "iptables", t.Command)
	}
	return fmt.Errorf("%s: %s: %w (%s)%s", t.Command, operation, err, stderr, remedy)
}

// asReferenced says of a failed restore that it was for the chains that it deletes: the legacy backend does not.
func (t *Table) asReferenced(err error) error {
	if errors.Is(err, ErrReferenced) {
		return err
	}
	return t.describe("delete mangle chains", ErrReferenced, strings.Join(strings.Fields(err.Error()), " "))
}

// restore gives text to the restore command.
func (t *Table) restore(ctx context.Context, text string) error {
	_, err := t.runRestore(ctx, text)
	return err
}

// runRestore gives text to the restore command, with more options, and gives what it says beside.
func (t *Table) runRestore(ctx context.Context, text string, options ...string) (string, error) {
	_, stderr, err := runCommand(ctx, text, t.restorePath, append(options, "--noflush", "-w", fmt.Sprint(lockWaitSeconds))...)
	if err == nil {
		return stderr, nil
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s: load the mangle chains: %w", t.Command, ctx.Err())
	}
	return "", t.classify("load the mangle chains", fmt.Errorf("%s: %w", stderr, err))
}

// runIptables gives what the iptables command answers about the table. It waits for the xtables lock.
func (t *Table) runIptables(ctx context.Context, args ...string) (string, error) {
	stdout, stderr, err := runCommand(ctx, "", t.path, append([]string{"-w", fmt.Sprint(lockWaitSeconds), "-t", marks.MangleTable}, args...)...)
	if err != nil && ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", stderr, err)
	}
	return stdout, nil
}
