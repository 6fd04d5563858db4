//go:build boot

package boot

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// entry is an entry of the journal.
type entry struct {
	unit, text string
	at         time.Time
}

// journal returns the entries of this boot, in order.
func (m *machine) journal() (all []entry) {
	m.t.Helper()
	out := m.run("journalctl", "--no-pager", "--boot", "--output=json", "--output-fields=MESSAGE,_SYSTEMD_UNIT,UNIT,__REALTIME_TIMESTAMP")
	for line := range strings.Lines(out) {
		var raw map[string]any
		if err := json.Unmarshal([]byte(line), &raw); err != nil {
			m.t.Fatalf("the journal says %q: %v", line, err)
		}
		text, _ := raw["MESSAGE"].(string)
		unit, _ := raw["_SYSTEMD_UNIT"].(string)
		micros, _ := strconv.ParseInt(raw["__REALTIME_TIMESTAMP"].(string), 10, 64)
		all = append(all, entry{unit, text, time.UnixMicro(micros)})
	}
	return all
}

// first returns the index of the first entry that matches.
func (m *machine) first(all []entry, form string) int {
	m.t.Helper()
	match := regexp.MustCompile(form)
	for i, e := range all {
		if match.MatchString(e.text) {
			return i
		}
	}
	m.t.Fatalf("the journal does not say %s:\n%s", form, m.log())
	return 0
}
