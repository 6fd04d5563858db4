package xtables

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"replypath/marks"
)

// What can be wrong with the iptables commands, apart from what they were asked to do.
var (
	ErrNotFound   = errors.New("not found")
	ErrLocked     = errors.New("the xtables lock is held by another program")
	ErrMissing    = errors.New("the kernel or iptables lacks a match or target")
	ErrHangs      = errors.New("it does not end")
	ErrPermission = errors.New("not permitted")
	ErrTaken      = errors.New("nftables has a table or chain of that name, made by another program, that iptables cannot use")
	ErrReferenced = errors.New("a rule of somebody else jumps to a chain of ours")
)

// sayings are the words by which iptables tells these, in its versions and backends.
var sayings = []struct {
	err   error
	words []string
}{
	{ErrLocked, []string{"xtables lock", "Can't lock"}},
	{ErrPermission, []string{"you must be root", "Permission denied", "Operation not permitted"}},
	{ErrReferenced, []string{"Too many links", "Device or resource busy", "CHAIN_DEL failed", "CHAIN_USER_DEL failed"}},
	{ErrTaken, []string{"CHAIN_ADD failed (Operation not supported)", "CHAIN_USER_ADD failed (File exists)"}},
	{ErrMissing, []string{"Couldn't load", "No chain/target/match by that name", "missing kernel module", "not supported",
		"unknown option", "RULE_APPEND failed (No such file", "can't initialize", "No such file or directory"}},
}

// remedies say what to do.
var remedies = map[error]string{
	ErrLocked:     "see who holds it: fuser -v /run/xtables.lock",
	ErrPermission: "run as root, or with the capability CAP_NET_ADMIN",
	ErrTaken:      "see it: nft list ruleset; have it use another name, or delete it and try again",
	ErrReferenced: "see which: iptables-save -t mangle, or nft list ruleset; delete that rule and try again",
}

// explain finds out what it means that iptables has failed.
func (t *Table) explain(tried string, err error) error {
	said := strings.Join(strings.Fields(err.Error()), " ")
	for _, s := range sayings {
		for _, word := range s.words {
			if strings.Contains(said, word) {
				return t.meaning(tried, s.err, said)
			}
		}
	}
	return fmt.Errorf("%s: %s: %w", t.Command, tried, err)
}

// meaning says what was tried, what it means, what iptables said, and what to do.
func (t *Table) meaning(tried string, err error, said string) error {
	remedy := ""
	if r := remedies[err]; r != "" {
		remedy = ": " + strings.ReplaceAll(r, "iptables", t.Command)
	}
	return fmt.Errorf("%s: %s: %w (%s)%s", t.Command, tried, err, said, remedy)
}

// referenced says of a failed restore that it was for the chains that it deletes: the legacy backend does not.
func (t *Table) referenced(err error) error {
	if errors.Is(err, ErrReferenced) {
		return err
	}
	return t.meaning("delete mangle chains", ErrReferenced, strings.Join(strings.Fields(err.Error()), " "))
}

// run gives text to the restore command.
func (t *Table) run(ctx context.Context, text string) error {
	_, err := t.restored(ctx, text)
	return err
}

// restored gives text to the restore command, with more options, and gives what it says beside.
func (t *Table) restored(ctx context.Context, text string, options ...string) (string, error) {
	_, said, err := call(ctx, text, t.restore, append(options, "--noflush", "-w", fmt.Sprint(lockWait))...)
	if err == nil {
		return said, nil
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s: load the mangle chains: %w", t.Command, ctx.Err())
	}
	return "", t.explain("load the mangle chains", fmt.Errorf("%s: %w", said, err))
}

// say gives what the iptables command answers about the table. It waits for the xtables lock.
func (t *Table) say(ctx context.Context, args ...string) (string, error) {
	answer, said, err := call(ctx, "", t.path, append([]string{"-w", fmt.Sprint(lockWait), "-t", marks.Table}, args...)...)
	if err != nil && ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", said, err)
	}
	return answer, nil
}
