# The guest: 512 bytes, no kernel. It stamps its own disk once per BIOS tick (18.2 times a second)
# and says so on the serial line: "ID COUNTER CONFLICTS", in hex; "E" when the disk gave an error.
#
# Sector 1 is the head, sectors 64..1087 are a ring of journal entries; each holds one record:
#   0 magic   4 id of this boot (random)   8 counter   12 boots   16 conflicts
#   20 foreign id (who was met)   24 clock at boot (BCD hhmmss)   28 first counter of this boot
#   32 BIOS ticks since midnight at this write
# Counter, boots and conflicts go on from the disk. Before each step it reads the head again: an id
# that is not its own is a conflict, a second writer. It also reads the journal entry with which
# this boot began: the one write that a killed predecessor may still have had in flight goes there.
# The journal is written before the head, so a kill between them leaves it one step ahead.
# What the records prove is decided by src/disk/checkDisk.ts.

    .code16
    .set OWN, 0x8000                # the record that is written
    .set SEEN, 0x8200               # the record that was read
    .set MAGIC, 0x42414c46          # "FLAB"
    .set ID, 4
    .set COUNTER, 8
    .set BOOTS, 12
    .set CONFLICTS, 16
    .set FOREIGN, 20
    .set CLOCK, 24
    .set FIRST, 28
    .set TICKS, 32
    .set BIOS_TICKS, 0x46c
    .set READ, 0x42
    .set WRITE, 0x43

    .globl _start
_start:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    ljmp $0, $begin
begin:
    sti
    cld
    movb %dl, drive
    movw $OWN, %di
    movw $256, %cx
    rep stosw
    movl $MAGIC, OWN
    movb $2, %ah                    # clock: CH hours, CL minutes, DH seconds
    int $0x1a
    pushw %cx
    pushw %dx
    popl %ebx
    movl %ebx, OWN+CLOCK
    rdtsc
    orl $1, %ebx
    imull %ebx, %eax
    orl $1, %eax                    # never 0
    movl %eax, OWN+ID

read_head_at_boot:
    call read_head
    jnc head_read
    call complain
    jmp read_head_at_boot
head_read:
    cmpl $MAGIC, SEEN
    jne fresh_disk
    movw $SEEN+COUNTER, %si
    movw $OWN+COUNTER, %di
    movw $8, %cx                    # counter, boots, conflicts, foreign id
    rep movsw
fresh_disk:
    incl OWN+BOOTS
    movl OWN+COUNTER, %eax
    incl %eax
    movl %eax, OWN+FIRST
    jmp write                       # nothing of this boot is on the disk yet

step:
    call wait_tick
    cmpb $0, begun
    je write
    call read_head
    jc failed
    call compare
    movl SEEN+COUNTER, %eax         # go on after whoever is ahead
    cmpl OWN+COUNTER, %eax
    jbe own_is_ahead
    movl %eax, OWN+COUNTER
own_is_ahead:
    movl OWN+FIRST, %eax
    call slot
    movw $SEEN, %bx
    movb $READ, %dh
    call transfer
    jc failed
    call compare
write:
    incl OWN+COUNTER
    movl BIOS_TICKS, %eax
    movl %eax, OWN+TICKS
    movl OWN+COUNTER, %eax
    call slot
    call write_own
    jc undo
    movl $1, %eax
    call write_own
    jc undo
    movb $1, begun
    movl OWN+ID, %eax
    call print
    movl OWN+COUNTER, %eax
    call print
    movl OWN+CONFLICTS, %eax
    call print
    movb $'\n', %al
    call put
    jmp step
undo:
    decl OWN+COUNTER
failed:
    call complain
    jmp step

complain:
    movb $'E', %al
    call put
    # falls through
wait_tick:
    movl BIOS_TICKS, %eax
1:  hlt
    cmpl BIOS_TICKS, %eax
    je 1b
    ret

compare:                            # was the record in SEEN written by this boot?
    movl SEEN+ID, %eax
    cmpl OWN+ID, %eax
    je 1f
    incl OWN+CONFLICTS
    movl %eax, OWN+FOREIGN
1:  ret

slot:                               # eax: counter -> sector
    andl $1023, %eax
    addl $64, %eax
    ret

read_head:
    movl $1, %eax
    movw $SEEN, %bx
    movb $READ, %dh
    jmp transfer
write_own:
    movw $OWN, %bx
    movb $WRITE, %dh
    # falls through
transfer:                           # eax: sector, bx: buffer, dh: READ or WRITE -> carry on error
    movw $1, packet+2               # the BIOS sets it to 0 after an error
    movl %eax, packet+8
    movw %bx, packet+4
    movb %dh, %ah
    xorb %al, %al
    movb drive, %dl
    movw $packet, %si
    int $0x13
    ret

print:                              # eax in hex and a blank
    movw $8, %cx
1:  roll $4, %eax
    pushl %eax
    andb $15, %al
    cmpb $10, %al
    sbbb $0x69, %al
    das
    call put
    popl %eax
    loop 1b
    movb $' ', %al
    # falls through
put:                                # al to the serial line
    pushw %ax
    movw $0x3fd, %dx
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    popw %ax
    movw $0x3f8, %dx
    outb %al, %dx
    ret

begun:  .byte 0
drive:  .byte 0
    .balign 4
packet: .byte 16, 0, 1, 0
    .word 0, 0
    .quad 0

    .org 510
    .word 0xaa55
