// Package proof judges whether replies leave by the link that their question came in on, and if not, why. It is pure:
// what it goes by has been asked of the kernel (asked), or seen of questions that were made to arrive (shown).
package proof
