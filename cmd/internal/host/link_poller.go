package host

import "replypath/uplinks/rtnl"

// NewLinkPoller asks how single links are, quickly and often. Its socket is of the network namespace of whoever opens it.
func NewLinkPoller() (*rtnl.LinkPoller, error) { return rtnl.NewLinkPoller() }
