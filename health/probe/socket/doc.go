// Package socket makes sockets that send through one uplink, and explains the errors of the kernel to the operator.
package socket
