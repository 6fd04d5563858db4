// Package config answers what the operator asked for: it reads the configuration files, reports every mistake in
// them at once with its place and its remedy, and writes a file to begin with.
package config
