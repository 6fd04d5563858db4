package proof

import (
	"fmt"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// ruleOwner returns which program added the foreign rule, with the protocol that it was added with. Package rpdb decides it,
// as for explain and doctor.
func (s Snapshot) ruleOwner(r uplinks.Rule) string {
	database := rpdb.Database{Family: r.Family}
	for _, foreign := range s.Facts.ForeignRules {
		if foreign.Family == r.Family {
			database.Rules = append(database.Rules, rpdb.FromRule(foreign, s.Facts.RuleProtocols[foreign]))
		}
	}
	protocol := s.Facts.RuleProtocols[r]
	rule := rpdb.FromRule(r, protocol)
	owner := database.Owner(&rule, s.Names)
	if owner == rpdb.UnknownOwner {
		return fmt.Sprintf("owner unknown (protocol %d)", protocol)
	}
	return fmt.Sprintf("added by %s (protocol %d)", owner, protocol)
}
