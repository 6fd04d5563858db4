package host

import "slices"

// drainedName is the name of the file with the uplinks that the operator has taken out of outbound.
const drainedName = "drained"

// Drained returns the uplinks that the operator has taken out of outbound.
func (h *Host) Drained() (names []string, err error) {
	_, err = h.state.ReadJSON(drainedName, &names)
	return names, err
}

// SetDrained takes an uplink out of outbound, or puts it back.
func (h *Host) SetDrained(uplink string, drained bool) error {
	names, err := h.Drained()
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == uplink })
	if drained {
		names = append(names, uplink)
	}
	if len(names) == 0 {
		return h.state.Remove(drainedName)
	}
	return h.state.WriteJSON(drainedName, names)
}

// DropDrained forgets the uplinks that are out of outbound.
func (h *Host) DropDrained() error { return h.state.Remove(drainedName) }
