// Package socket makes what is sent leave by one uplink, and says what to do when the kernel refuses.
package socket
