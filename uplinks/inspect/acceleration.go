package inspect

import (
	"strings"

	"replypath/uplinks"
)

// inspectAcceleration returns the links that accelerate cannot cover, in one finding, and that the kernel has no flow tables. Of
// accelerate = true it leaves out links that are not ready for packets.
func inspectAcceleration(s uplinks.Settings, f uplinks.Facts) (all []Finding) {
	_, out, any := s.FlowTable(f)
	var left []string
	for _, o := range out {
		left = append(left, o.Link+": "+o.Reason)
	}
	if len(left) > 0 {
		remedy := "connections by other links are accelerated; name only those in accelerate"
		if !any {
			remedy = "no connection is accelerated; name links that can be in a flow table, or remove accelerate"
		}
		all = append(all, Finding{What: "accelerate leaves out " + strings.Join(left, "; "), Remedy: remedy})
	}
	if f.FlowRefused != "" {
		all = append(all, Finding{What: "accelerate has no effect: " + firstSentence(f.FlowRefused),
			Remedy: "it needs Linux 5.8 or later with flow tables of nftables (CONFIG_NF_FLOW_TABLE_INET, CONFIG_NFT_FLOW_OFFLOAD, CONFIG_NFT_QUOTA): modprobe nf_flow_table_inet nft_flow_offload nft_quota; or remove the key"})
	}
	return all
}
