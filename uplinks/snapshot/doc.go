// Package snapshot writes the rules, routes, link groups, sysctls and mangle chains of a host as lines of text, compares two such
// documents, and turns lines back into messages for the kernel. It does no I/O.
//
// A document is the line "replypath snapshot 1", comments that begin with #, and lines whose first word is their kind (document.go).
// A rule or route is the message of the kernel (rtnetlink(7)), attribute by attribute (fields.go): by the words of ip-rule(8) and
// ip-route(8) where there are some, else "attr NUMBER HEX", so that nothing is lost that a newer kernel adds. What a value means
// is not judged. Links are named; only their numbers change over a boot.
package snapshot
