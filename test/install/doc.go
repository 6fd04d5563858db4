// Package install tests make install and uninstall, and the scripts for init systems, on a copy-on-write view of this machine.
package install
