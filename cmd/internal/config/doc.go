// Package config reads and checks the configuration files. It reports all mistakes at once, each with its position in the
// file and a remedy, and writes a first configuration file (Propose).
package config
