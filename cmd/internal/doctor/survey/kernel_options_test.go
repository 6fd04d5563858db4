package survey

import (
	"slices"
	"strings"
	"testing"

	"replypath/cmd/internal/doctor"
)

func TestUnsetKernelOptionsAreFound(t *testing.T) {
	var config strings.Builder
	for _, o := range doctor.KernelOptions[1:] {
		config.WriteString(o.Name + "=m\n")
	}
	config.WriteString("# " + doctor.KernelOptions[0].Name + " is not set\n")
	if got := unsetOptions(strings.NewReader(config.String())); !slices.Equal(got, []string{doctor.KernelOptions[0].Name}) {
		t.Errorf("got %v", got)
	}
	if got := unsetOptions(strings.NewReader("no configuration\n")); got != nil {
		t.Errorf("a text without options: %v", got)
	}
}
