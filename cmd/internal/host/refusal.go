package host

import "time"

// refusalRetry is the time after which a table that the kernel refused is tried again.
const refusalRetry = 10 * time.Minute

// refusal is why the kernel cannot have a table of nftables, as the last check has found. The zero value is checked next.
type refusal struct {
	reason error
	at     time.Time // of the check
}

// text returns why the kernel cannot have the table; "" where it can, or has it.
func (r *refusal) text(exists bool) string {
	if r.reason == nil || exists {
		return ""
	}
	return r.reason.Error()
}

// check finds out again, unless it was found not long ago.
func (r *refusal) check(refuses func() error) {
	if time.Since(r.at) > refusalRetry {
		r.reason, r.at = refuses(), time.Now()
	}
}
