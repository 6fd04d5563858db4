// Package container tests the image of etc/container: it is built with buildah, and run with runc. It has the build tag container.
package container
