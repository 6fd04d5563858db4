package outbound

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// askVariable makes the test's program a client: the servers that it asks.
const askVariable = "REPLYPATH_TEST_ASK"

// exitAsked is the exit status of a client that got all replies.
const exitAsked = 7

// useClient asks each of the servers by TCP and UDP, prints the source addresses, and exits.
func useClient() {
	servers := os.Getenv(askVariable)
	if servers == "" {
		return
	}
	for to := range strings.SplitSeq(servers, ",") {
		for _, network := range []string{"tcp", "udp"} {
			from, err := ask(network, to)
			if err != nil {
				fmt.Println(network, to, err)
				os.Exit(1)
			}
			fmt.Println(network, from)
		}
	}
	os.Exit(exitAsked)
}

// ask sends a request and waits for the first byte of the reply. It returns the address that it was sent from.
func ask(network, to string) (string, error) {
	conn, err := net.DialTimeout(network, to, 20*time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte(strings.Repeat("?", 64))); err != nil {
		return "", err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return "", err
	}
	host, _, err := net.SplitHostPort(conn.LocalAddr().String())
	return host, err
}
