// Package world builds small internets to prove things in: hosts as network namespaces joined by veth links,
// services that reply, a client that sends requests of every kind, and recorders of what crosses each wire.
//
// A program calls Enter first. It runs the program again in namespaces of its own, so that everything it builds
// ends with it:
//
//	func TestMain(m *testing.M) { world.Enter(); os.Exit(m.Run()) }
//
//	func TestReplyLeavesByItsUplink(t *testing.T) {
//		w := world.TwoISPs(t)
//		w.Gateway.ServeTCP(7000)
//		wire := w.Uplinks[0].Wire.Record()
//		if a := w.Client.TCP(w.Uplinks[0].Port4(7000)); !a.OK {
//			t.Fatal(a)
//		}
//		w.Settle()
//		t.Log(wire.Packets())
//	}
package world
