package iptables

import (
	"errors"
	"fmt"
	"strings"

	"replypath/marks"
)

// Errors of the iptables commands, besides marks.ErrNotFound and marks.ErrUnsupported.
var (
	ErrLocked       = errors.New("the xtables lock is held by another program")
	ErrTimeout      = errors.New("the command does not end")
	ErrPermission   = errors.New("not permitted")
	ErrNameConflict = errors.New("nftables has a table or chain of that name, made by another program, that iptables cannot use")
	ErrReferenced   = errors.New("a rule of another program jumps to a chain of replypath")
)

// errorPatterns are the messages of iptables for these errors, in all its versions and backends.
var errorPatterns = []struct {
	err        error
	substrings []string
}{
	{ErrLocked, []string{"xtables lock", "Can't lock"}},
	{ErrPermission, []string{"you must be root", "Permission denied", "Operation not permitted"}},
	{ErrReferenced, []string{"Too many links", "Device or resource busy", "CHAIN_DEL failed", "CHAIN_USER_DEL failed"}},
	{ErrNameConflict, []string{"CHAIN_ADD failed (Operation not supported)", "CHAIN_USER_ADD failed (File exists)"}},
	{marks.ErrUnsupported, []string{"Couldn't load", "No chain/target/match by that name", "missing kernel module", "not supported",
		"unknown option", "RULE_APPEND failed (No such file", "can't initialize", "No such file or directory"}},
}

// remedies tell the operator what to do.
var remedies = map[error]string{
	ErrLocked:       "see who holds it: fuser -v /run/xtables.lock",
	ErrPermission:   "run as root, or with the capability CAP_NET_ADMIN",
	ErrNameConflict: "see it: nft list ruleset; have it use another name, or delete it and try again",
	ErrReferenced:   "see which: iptables-save -t mangle, or nft list ruleset; delete that rule and try again",
}

// classify wraps the error of an iptables command in the error that its message stands for, with the remedy.
func (t *Table) classify(operation string, err error) error {
	message := strings.Join(strings.Fields(err.Error()), " ")
	for _, p := range errorPatterns {
		for _, s := range p.substrings {
			if strings.Contains(message, s) {
				return t.describe(operation, p.err, message)
			}
		}
	}
	return fmt.Errorf("%s: %s: %w", t.command, operation, err)
}

// describe formats an error: command, operation, meaning, message of iptables, remedy.
func (t *Table) describe(operation string, err error, message string) error {
	remedy := ""
	if r := remedies[err]; r != "" {
		remedy = ": " + strings.ReplaceAll(r, "iptables", t.command)
	}
	return fmt.Errorf("%s: %s: %w (%s)%s", t.command, operation, err, message, remedy)
}

// asReferenced wraps the error of a restore that failed because of the chains that it deletes. The message of the
// legacy backend does not say so.
func (t *Table) asReferenced(err error) error {
	if errors.Is(err, ErrReferenced) {
		return err
	}
	return t.describe("delete mangle chains", ErrReferenced, strings.Join(strings.Fields(err.Error()), " "))
}
