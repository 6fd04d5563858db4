package manual

// Program is the description of a program.
type Program struct {
	Name, Brief, Long string
	Options           []Option // of every command
	Commands          []Command
}

// Command is a command of a program.
type Command struct {
	Usage, Text string
	Options     []Option
}

// Option is an option as written ("--config FILE") and its description.
type Option struct{ Usage, Text string }

// files lists the files that the program reads and writes.
var files = []Option{
	{"/etc/replypath/replypath.toml", "The configuration, see replypath.toml(5). A sample is in the same directory."},
	{"/etc/replypath/uplinks.d/NAME.toml", "The configuration of one uplink."},
	{"/run/replypath", "The sysctl values and link groups from before replypath, and the applied configuration. They are needed to restore the host."},
	{"/etc/iproute2/rt_tables.d/replypath.conf", "The names of the uplinks' routing tables for ip(8)."},
}

// Page8 returns the manual page of the program, section 8, in man(7) format.
func (p Program) Page8() string {
	out := newPage(p.Name, 8, p.Brief)
	out.heading("SYNOPSIS")
	out.macro("\\fB%s\\fR [\\fIOPTION\\fR]... \\fICOMMAND\\fR", escape(p.Name))
	out.heading("DESCRIPTION")
	out.text(p.Long)
	out.heading("COMMANDS")
	for _, c := range p.Commands {
		out.item(c.Text, c.Usage)
		if len(c.Options) > 0 {
			out.macro(".RS")
			out.options(c.Options)
			out.macro(".RE")
		}
	}
	out.heading("OPTIONS")
	out.options(p.Options)
	out.heading("FILES")
	out.options(files)
	out.heading("SEE ALSO")
	out.text("replypath.toml(5), replypath-recipes(7), replypath-kernel(7), replypath-proof(7), replypath-doctor(7), replypath-status(7), ip-rule(8), ip-route(8), iptables-extensions(8)")
	return out.String()
}

func (p *page) options(all []Option) {
	for _, o := range all {
		p.item(o.Text, o.Usage)
	}
}
