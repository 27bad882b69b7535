// SPDX-License-Identifier: LGPL-2.1-or-later
// A platform device for the guest: an entry of ACPI's namespace that no driver knows, with the ports and the interrupt of
// QEMU's sb16. Of the old cards it is one whose own processor raises the line on command, and which Linux leaves alone.
DefinitionBlock ("", "SSDT", 2, "DEVREG", "PLATFORM", 1)
{
    Scope (\_SB)
    {
        Device (DVRG)
        {
            Name (_HID, "DVRG0001")
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0220, 0x0220, 0x01, 0x10)
                Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) { 5 }
            })
        }
    }
}
