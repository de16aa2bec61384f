"""The digit-serial style: sums go some bits a clock. The machine, its schedule, its model and its Verilog; other styles stay out."""
