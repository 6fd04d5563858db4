// Package etc holds what gets installed, so that the program, the packages and the tests share the same bytes.
package etc

import _ "embed"

// Sample is the configuration file that is installed as an example, and tells every key and default.
//
//go:embed replypath.toml
var Sample []byte

// NetworkdDropIn tells systemd-networkd to leave the rules and routes of others alone.
//
//go:embed networkd.conf.d/replypath.conf
var NetworkdDropIn []byte

// Recipes is the page for operators: what they see go wrong, what to configure, and what they see then.
//
//go:embed recipes.md
var Recipes []byte
