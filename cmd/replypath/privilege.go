package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// checkPrivileges returns an error if the process lacks a capability that changes need (capabilities(7)).
func checkPrivileges() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read the capabilities of the process: %w", err)
	}
	for bit, name := range map[int]string{unix.CAP_NET_ADMIN: "CAP_NET_ADMIN", unix.CAP_NET_RAW: "CAP_NET_RAW"} {
		if data[bit/32].Effective&(1<<(bit%32)) == 0 {
			return errors.New("routes, rules and iptables need root, and " + name + " is missing: run it with sudo")
		}
	}
	return nil
}
