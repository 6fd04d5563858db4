package matrix

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"sync"
	"testing"

	"replypath/test/box"
)

// group is a part of the matrix.
type group struct {
	title string
	rows  []fault
}

// groups are all parts, in the order of the document.
var groups = []group{
	{"Objects of replypath, which the service repairs", ownFaults},
	{"Rules of other programs", ruleFaults},
	{"Routes of other programs", routeFaults},
	{"Links, neighbours, sysctls, IPsec", linkFaults},
	{"Marks of other programs", markFaults},
	{"Connection tracking", trackingFaults},
	{"What takes replies behind their route", egressFaults},
	{"Firewalls that refuse", firewallFaults},
	{"Healthy hosts", healthyHosts},
}

const (
	// wholeVariable makes the test run every row in each backend: make matrix. Otherwise it runs one row of each kind.
	wholeVariable = "REPLYPATH_MATRIX"
	// rowsVariable limits that to the rows that match the regular expression.
	rowsVariable = "REPLYPATH_ROWS"
	// workers is how many rows run at a time: they wait for the kernel and the service most of the time.
	workers = 12
)

// columns are the backends, as lines of the configuration.
var columns = append(slices.Clone(box.Backends), box.Nftables)

// cell is a row in a backend.
type cell struct {
	row, backend int
}

// kindOf returns what distinguishes a row from others of its group.
func (f fault) kindOf() string {
	hurt, _ := f.hurt()
	return fmt.Sprint(f.cause, f.warns, f.doctor, f.service, f.unknown, f.refused, f.absent, len(hurt))
}

// cells returns what is to be run: everything, or one row of each kind, in alternating backends.
func cells() (some []cell) {
	whole, only := os.Getenv(wholeVariable) != "", regexp.MustCompile(os.Getenv(rowsVariable))
	row := 0
	for _, g := range groups {
		seen := map[string]bool{}
		for _, f := range g.rows {
			switch {
			case whole && only.MatchString(f.name):
				for i := range columns {
					some = append(some, cell{row, i})
				}
			case !whole && !seen[f.kindOf()]:
				some = append(some, cell{row, len(some) % len(columns)})
			}
			seen[f.kindOf()] = true
			row++
		}
	}
	return some
}

func TestVerdictsOnPlantedFaults(t *testing.T) {
	var rows []fault
	for _, g := range groups {
		rows = append(rows, g.rows...)
	}
	todo := cells()
	outcomes := make([]outcome, len(todo))
	next := make(chan int)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for i := range next {
				f, backend := rows[todo[i].row], columns[todo[i].backend]
				t.Run(f.name+"/"+backendName(backend), func(t *testing.T) { outcomes[i] = run(t, f, backend) })
			}
		})
	}
	for i := range todo {
		next <- i
	}
	close(next)
	running.Wait()
	report(t, rows, todo, outcomes)
	comparePage(t)
}

// backendName returns the name in a line of the configuration.
func backendName(line string) string {
	return regexp.MustCompile(`"(\w+)"`).FindStringSubmatch(line)[1]
}
