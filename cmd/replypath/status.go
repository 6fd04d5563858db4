package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"replypath/cmd/internal/daemon"

	"github.com/spf13/cobra"
)

func (p *program) statusCommand() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use:   "status",
		Short: "Print how the running service stands",
		Long: `Print how the running service stands: whether the kernel is in sync, what waits and
why, and how the last reload ended. The exit status is 3 when not all is well.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := daemon.Call(cmd.Context(), p.state, daemon.Request{Do: daemon.DoStatus})
			if errors.Is(err, daemon.ErrNoService) {
				return fmt.Errorf("%w: start it (systemctl start replypath), or look once: replypath plan", err)
			}
			if err != nil {
				return err
			}
			if err := p.printStatus(*answer.Status); err != nil {
				return err
			}
			if !well(*answer.Status) {
				return errNo
			}
			return nil
		},
	})
}

func well(s daemon.Status) bool {
	return s.InSync && s.Error == "" && (s.Reload == nil || s.Reload.Error == "")
}

func (p *program) printStatus(s daemon.Status) error {
	if p.json {
		return p.print(s)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	sync := "in sync"
	if !s.InSync {
		sync = "not in sync"
	}
	fmt.Fprintf(w, "kernel\t%s, since %s\n", sync, s.Since.Format(time.DateTime))
	if s.Error != "" {
		fmt.Fprintf(w, "error\t%s\n", s.Error)
	}
	if s.Waiting > 0 {
		fmt.Fprintf(w, "waiting\t%s, as somebody undoes them again and again: see the log\n", count(s.Waiting, "repair"))
	}
	fmt.Fprintf(w, "uplinks\t%d\n", s.Uplinks)
	fmt.Fprintf(w, "changes\t%d, in %s\n", s.Changes, count(s.Rounds, "round"))
	switch {
	case s.Reload == nil:
	case s.Reload.Error != "":
		fmt.Fprintf(w, "reload\trefused at %s: %s\n", s.Reload.At.Format(time.DateTime), s.Reload.Error)
	default:
		fmt.Fprintf(w, "reload\tat %s\n", s.Reload.At.Format(time.DateTime))
	}
	return w.Flush()
}
