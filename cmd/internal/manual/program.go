package manual

// Program is what the program says of itself.
type Program struct {
	Name, Brief, Long string
	Options           []Option // of every command
	Commands          []Command
}

// Command is one of its commands.
type Command struct {
	Usage, Text string
	Options     []Option
}

// Option is an option, as it is written ("--config FILE"), and what it does.
type Option struct{ Usage, Text string }

// files are those that the program reads and writes.
var files = []Option{
	{"/etc/replypath/replypath.toml", "The configuration: see replypath.toml(5). A sample lies beside it."},
	{"/etc/replypath/uplinks.d/NAME.toml", "The configuration of one uplink."},
	{"/run/replypath", "What was found before replypath, and what is in force. It is needed to put things back."},
	{"/etc/iproute2/rt_tables.d/replypath.conf", "The names of the uplinks' tables, for ip(8)."},
}

// Page8 is the manual page of the program, replypath(8).
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
	out.text("replypath.toml(5), replypath-recipes(7), ip-rule(8), ip-route(8), iptables-extensions(8)")
	return out.String()
}

func (p *page) options(all []Option) {
	for _, o := range all {
		p.item(o.Text, o.Usage)
	}
}
