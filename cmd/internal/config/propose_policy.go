package config

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"replypath/uplinks"
)

// ProposePolicy writes the tables of a policy for a file with the uplinks of the settings, as comments: whether replypath chooses
// the uplink of connections that begin inside is for the operator to decide. It writes nothing and returns an error if the
// file would not be valid with them.
func ProposePolicy(w io.Writer, s uplinks.Settings, policy uplinks.Policy) error {
	var tiers []string
	for _, members := range policy.Tiers {
		var names []string
		for _, m := range members {
			names = append(names, strconv.Quote(m.Uplink))
		}
		tiers = append(tiers, "["+strings.Join(names, ", ")+"]")
	}
	tables := fmt.Sprintf("[outbound]\ndefault    = %q\nmasquerade = \"off\"    # \"ipv4\" or \"both\" where no other program translates the addresses of the hosts behind this one\n\n[outbound.policies.%s]\ntiers    = [%s]\n",
		policy.Name, policy.Name, strings.Join(tiers, ", "))
	var file strings.Builder
	for _, u := range s.Uplinks {
		var table proposal
		table.uplink(u)
		file.WriteString(table.String())
	}
	if _, mistakes := resolve([]*source{{path: "proposal", text: file.String() + tables}}); len(mistakes) > 0 {
		return fmt.Errorf("propose a policy: %w", mistakes)
	}
	text := `
# Several uplinks have a default route. Main decides by which of them connections leave that begin on this host or behind
# it, also when it fails silently. With these lines, replypath chooses: the first list with a working uplink, and of
# its uplinks each for a part of the connections.
`
	for line := range strings.Lines(tables) {
		if line != "\n" {
			line = "#" + line
		}
		text += line
	}
	_, err := io.WriteString(w, text)
	if err != nil {
		return fmt.Errorf("propose a policy: %w", err)
	}
	return nil
}
