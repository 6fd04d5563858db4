// Package apply tests the commands that change the kernel once: init, check, plan, apply, confirm and flush. It compares
// snapshots of the kernel, damages what is applied, interrupts and starves the program, and wants foreign objects unchanged.
package apply
