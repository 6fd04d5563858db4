// Command demo shows what replypath does to a host with two uplinks, in a small internet of network namespaces: the
// real program is applied to a broken host, and every reply is watched on the wires before and after.
//
// It exits with 0 only when everything before was broken as it should be and everything after was right. All that it
// makes is gone when it ends, however it ends.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"replypath/cmd/terminal"
	"replypath/test/world"
)

func main() {
	binary := flag.String("replypath", ".build/replypath", "the replypath `PROGRAM` to show")
	flag.Parse()
	world.Enter()
	exitOnSignal()
	path, err := filepath.Abs(*binary)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: no program to show: %v: build it first: make build\n", err)
		os.Exit(1)
	}
	os.Exit(play(path))
}

// exitOnSignal makes the program end at once on Ctrl-C. Every namespace, link and process of the demo ends with it.
func exitOnSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		s := <-signals
		fmt.Fprintf(os.Stderr, "\ndemo: %s: ended, and nothing is left behind\n", s)
		os.Exit(130)
	}()
}

// play shows all scenes and gives the exit status.
func play(binary string) int {
	began := time.Now()
	colours := terminal.NewPalette(os.Stdout)
	fmt.Print(prologue)
	var all summary
	for i, s := range scenes {
		fmt.Printf("\n%s\n", colours.Bold(fmt.Sprintf("(%c) %s", 'a'+i, s.title)))
		all.add(s.show(binary, colours))
	}
	fmt.Printf("\n%s\n%s\n", all.before(), all.after())
	if len(all.wrong) == 0 {
		fmt.Printf("%s, in %d seconds.\n", colours.Green("All as it should be"), int(time.Since(began).Seconds()+0.5))
		return 0
	}
	fmt.Printf("\n%s\n", colours.Red("Not as it should be:"))
	for _, w := range all.wrong {
		fmt.Println("  " + w)
	}
	return 1
}

const prologue = `A client asks a gateway that has two uplinks. Each ISP drops what does not
come from its own addresses, so a reply that leaves by the other uplink is lost:

                  .-- isp0 --[eth0 198.51.100.2]--.
  client ---------|          [  2001:db8:a::2  ]  gateway --- lan host
  203.0.113.10    '-- isp1 --[eth1 192.0.2.2   ]--'           198.18.0.2
  2001:db8:c::10             [  2001:db8:b::2  ]

In the tables "ok by eth1" is a question that was answered, and the interface
that the reply was seen to leave by; "lost by eth0" a reply that left by eth0
and was never heard; "no reply" a question that the gateway left without one.
Everything happens in network namespaces that end with the demo: this machine's
own links, routes and rules are not touched.
`
