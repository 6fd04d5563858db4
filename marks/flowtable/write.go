package flowtable

import (
	"replypath/marks"
	"replypath/marks/nftnl"
)

// Set makes the table, in place of one that exists, in one transaction. All connections leave the old one.
func Set(t marks.FlowTable) error { return nftnl.ReplaceTable(table, create(t)) }

// Delete deletes the table, if it exists. From then on the packets of all connections take the rules and routes.
func Delete() error { return nftnl.DeleteTable(table) }

// Check returns why the kernel cannot make such a table, which does not exist yet; nil if it can. It changes nothing.
func Check() error {
	return nftnl.CheckTable(create(marks.NewFlowTable(marks.DefaultMask, []marks.FlowLink{{Name: "lo", Mark: marks.DefaultMask.Mark(1)}}, nil)))
}
