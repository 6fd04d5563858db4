// Package boot proves the packages on a Debian that really boots, with systemd as its first process: in systemd-nspawn,
// whose network is the gateway of a world, and in qemu. The tests need an image, which make test-boot builds, and are
// left out without the build tag boot.
package boot
