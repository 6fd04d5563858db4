// Package etc embeds installed files, so that the program, the packages and the tests use the same contents.
package etc

import "embed"

// Sample is the sample configuration file, which shows every key and default.
//
//go:embed replypath.toml
var Sample []byte

// NetworkdDropIn makes systemd-networkd keep the rules and routes of other programs (networkd.conf(5)).
//
//go:embed networkd.conf.d/replypath.conf
var NetworkdDropIn []byte

// Recipes is etc/recipes.md: symptoms, the configuration against them, and what is seen afterwards.
//
//go:embed recipes.md
var Recipes []byte

// Status is etc/status.md: the reference of the status document, the events and the metrics.
//
//go:embed status.md
var Status []byte

// Pages has the pages in etc/doc that are manual pages too.
//
//go:embed doc/kernel.md doc/proof.md doc/doctor.md
var Pages embed.FS
