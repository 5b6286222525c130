"""Organic molecules by SMILES, chosen by hand for breadth of bonds and functional groups."""

from __future__ import annotations

NEUTRAL: tuple[str, ...] = (
    # alkanes, alkenes, alkynes, rings
    "C", "CC", "CCC", "CCCC", "CC(C)C", "CCCCC", "CC(C)(C)C", "CCCCCC", "CCCCCCCC", "C1CC1",
    "C1CCC1", "C1CCCC1", "C1CCCCC1", "C=C", "C=CC", "C=CC=C", "CC=CC", "C#C", "CC#C", "C=C=C",
    "C1=CC1", "C1=CCCCC1", "C1=CCC=C1", "C=CC#C", "C1CC2CCC1C2", "C12C3C4C1C5C2C3C45",
    # aromatics and heteroaromatics
    "c1ccccc1", "Cc1ccccc1", "C=Cc1ccccc1", "c1ccc2ccccc2c1", "c1ccc(cc1)-c1ccccc1", "Oc1ccccc1",
    "Nc1ccccc1", "c1ccncc1", "c1cnccn1", "c1ncncn1", "c1cc[nH]c1", "c1ccoc1", "c1ccsc1",
    "c1c[nH]cn1", "c1cocn1", "c1cscn1", "c1ccc2[nH]ccc2c1", "O=[N+]([O-])c1ccccc1", "N#Cc1ccccc1",
    "Fc1ccccc1", "Clc1ccccc1", "Brc1ccccc1", "Ic1ccccc1", "COc1ccccc1", "O=Cc1ccccc1",
    "OC(=O)c1ccccc1", "Sc1ccccc1", "Cn1cnc2c1c(=O)n(C)c(=O)n2C", "c1ccc2c(c1)cccc2O",
    # oxygen
    "O", "OO", "CO", "CCO", "CCCO", "CC(C)O", "CC(C)(C)O", "OCCO", "OCC(O)CO", "COC", "CCOCC",
    "C1CO1", "C1CCOC1", "C1COCCO1", "C=O", "CC=O", "CC(C)=O", "CCC=O", "OC=O", "CC(=O)O", "COC=O",
    "CC(=O)OC", "CC(=O)OC(C)=O", "C=C=O", "O=C=O", "[C-]#[O+]", "O=CC=O", "CC(=O)CC(C)=O",
    "O=C1CCCCC1", "O=C1C=CC(=O)C=C1", "COOC", "OCC=O", "C1COC(=O)O1", "COC(=O)OC", "OC(=O)C(=O)O",
    "OCC1OC(O)C(O)C(O)C1O", "CC(=O)Oc1ccccc1C(=O)O", "C=CC=O", "C=CC(=O)O", "CC(O)C(=O)O",
    # nitrogen
    "N", "NN", "NO", "CN", "CNC", "CN(C)C", "CCN", "NCCN", "C1CN1", "C1CCNCC1", "C1CNCCN1", "C=N",
    "C#N", "CC#N", "C=CC#N", "[C-]#[N+]C", "N=C=O", "CN=C=O", "C[N+](=O)[O-]", "CON=O", "NC=O",
    "CC(N)=O", "CNC(C)=O", "CN(C)C=O", "NC(N)=O", "NC(N)=N", "C1CCNC1", "N#N", "[N-]=[N+]=O",
    "O=[N+]([O-])O", "CN=[N+]=[N-]", "CN=NC", "C=[N+]=[N-]", "NC(=O)C=C", "N#CC#N", "NCC#N", "CNN",
    # amino acids and building blocks of life
    "NCC(=O)O", "CC(N)C(=O)O", "CC(C)C(N)C(=O)O", "OCC(N)C(=O)O", "SCC(N)C(=O)O",
    "CSCCC(N)C(=O)O", "OC(=O)CC(N)C(=O)O", "NC(=O)CC(N)C(=O)O", "NCCCCC(N)C(=O)O",
    "O=C(O)C1CCCN1", "NC(Cc1ccccc1)C(=O)O", "NC(Cc1c[nH]cn1)C(=O)O", "CC(=O)NCC(=O)NC",
    "CC(=O)NC(C)C(=O)NC", "Cc1c[nH]c(=O)[nH]c1=O", "O=c1cc[nH]c(=O)[nH]1", "Nc1cc[nH]c(=O)n1",
    "Nc1ncnc2[nH]cnc12", "NC(O)C", "NCCc1ccc(O)c(O)c1", "CC(O)CN", "NCCO", "C[N+](C)(C)CC(=O)[O-]",
    # halogens
    "F", "Cl", "Br", "I", "FF", "ClCl", "BrBr", "II", "CF", "CCl", "CBr", "CI", "FCF", "ClCCl",
    "FC(F)F", "ClC(Cl)Cl", "FC(F)(F)F", "ClC(Cl)(Cl)Cl", "BrC(Br)Br", "CCF", "CCCl", "CCBr", "CCI",
    "FC=C", "ClC=C", "FC(F)=C(F)F", "ClC=CCl", "FC(F)(F)C(F)(F)F", "OC(=O)C(F)(F)F", "FCCO",
    "ClC(=O)C", "O=C(Cl)Cl", "OCl", "OF", "ClF", "BrCl", "ICl", "BrCCBr", "FC(F)(Cl)Br", "NCl", "NF",
    # sulfur, selenium
    "S", "SS", "CS", "CSC", "CSSC", "CCS", "C1CS1", "C1CCSC1", "C=S", "S=C=S", "O=C=S", "O=S=O",
    "O=S(=O)=O", "CS(C)=O", "CS(C)(=O)=O", "OS(=O)(=O)O", "CS(=O)(=O)O", "NC(N)=S", "CSC#N",
    "N=C=S", "CS(N)(=O)=O", "FS(F)(F)(F)(F)F", "ClSCl", "ClS(Cl)=O", "C[Se]C", "[SeH2]", "O=[Se]=O",
    # phosphorus, arsenic
    "P", "PP", "CP", "CP(C)C", "OP(O)O", "OP(=O)(O)O", "CP(=O)(O)O", "COP(=O)(OC)OC", "FP(F)F",
    "ClP(Cl)Cl", "FP(F)(F)(F)F", "O=P(Cl)(Cl)Cl", "C[PH](C)=O", "CP(C)(C)=O", "[AsH3]", "C[As](C)C",
    # boron, silicon, germanium, tin, aluminum, other molecular main-group compounds
    "B(O)(O)O", "CB(O)O", "FB(F)F", "ClB(Cl)Cl", "CB(C)C", "B1OBOBO1", "B1NBNBN1", "[BH3-][NH3+]",
    "[BH3-][NH+](C)C", "[SiH4]", "C[SiH3]", "C[Si](C)(C)C", "[SiH3][SiH3]", "[SiH3]O", "O[Si](O)(O)O",
    "[SiH3]O[SiH3]", "C[Si](C)(C)O[Si](C)(C)C", "F[Si](F)(F)F", "Cl[Si](Cl)(Cl)Cl", "C[Si](C)(C)Cl",
    "[SiH3]N", "[SiH3]C=C", "[GeH4]", "C[GeH3]", "Cl[Ge](Cl)(Cl)Cl", "C[Ge](C)(C)C", "[SnH4]",
    "C[Sn](C)(C)C", "Cl[Sn](Cl)(Cl)Cl", "C[Al](C)C", "Cl[Al](Cl)Cl", "C[Zn]C", "C[Hg]C", "C[Li]",
    "C[Mg]C", "C[Pb](C)(C)C", "C[Ga](C)C",
)
"""Closed-shell neutral molecules."""

CHARGED: tuple[str, ...] = (
    # cations
    "[NH4+]", "C[NH3+]", "C[NH2+]C", "C[NH+](C)C", "C[N+](C)(C)C", "CC[NH3+]", "[OH3+]", "C[OH2+]",
    "CC[OH2+]", "C=[OH+]", "CC=[OH+]", "CC(C)=[OH+]", "C=[NH2+]", "NC(N)=[NH2+]", "c1cc[nH+]cc1",
    "c1c[nH]c[nH+]1", "C[PH3+]", "C[P+](C)(C)C", "[SH3+]", "C[SH2+]", "C[S+](C)C", "[NH3+]CC(=O)O",
    "CC([NH3+])C(=O)O", "[NH3+]CCO", "Cn1cc[n+](C)c1", "[CH3+]", "C[CH+]C", "C[C+](C)C",
    "[NH3+]CC[NH3+]", "[NH3+]CCCC[NH3+]", "CC#[NH+]", "NC(=[OH+])C", "C[Si+](C)C",
    # anions
    "[OH-]", "C[O-]", "CC[O-]", "CC(C)(C)[O-]", "[O-]c1ccccc1", "[O-]C=O", "CC(=O)[O-]",
    "[O-]C(=O)C(=O)O", "[O-]C(=O)C(=O)[O-]", "[O-]C(=O)c1ccccc1", "NCC(=O)[O-]", "CC(N)C(=O)[O-]",
    "OC(=O)[O-]", "[O-]C([O-])=O", "[C-]#N", "[N-]=C=O", "[N-]=C=S", "[N-]=[N+]=[N-]", "[SH-]",
    "C[S-]", "[S-]c1ccccc1", "[NH2-]", "C[NH-]", "[C-]#C", "[CH2-]C=O", "[CH2-][N+](=O)[O-]",
    "[O-][N+](=O)[O-]", "[O-]N=O", "OS(=O)(=O)[O-]", "[O-]S(=O)(=O)[O-]", "CS(=O)(=O)[O-]",
    "OP(=O)(O)[O-]", "OP(=O)([O-])[O-]", "F[P-](F)(F)(F)(F)F", "F[B-](F)(F)F", "[BH4-]",
    "[O-]Cl", "[O-]Cl(=O)(=O)=O", "[O-]O", "[PH2-]", "c1cc[cH-]c1", "[O-]C(=O)C(F)(F)F",
    "O=S(=O)([N-]S(=O)(=O)C(F)(F)F)C(F)(F)F", "F[Si-2](F)(F)(F)(F)F", "Cl[Al-](Cl)(Cl)Cl",
    "[O-]B(O)O", "O[B-](O)(O)O", "[AlH4-]", "[CH2-]C#N", "[N-]1C=CN=C1", "[O-]CC=O", "[S-]S",
)
"""Ions with their usual charge."""

RADICALS: tuple[str, ...] = (
    "[CH3]", "C[CH2]", "C[CH]C", "C[C](C)C", "[OH]", "C[O]", "CC[O]", "O[O]", "CO[O]", "[NH2]",
    "C[NH]", "[CH2]O", "[CH]=O", "C[C]=O", "C=[CH]", "C#[C]", "[CH2]C=C", "[CH2]c1ccccc1", "[SH]",
    "C[S]", "[N]=O", "O=[N+][O-]", "[SiH3]", "[PH2]", "[c]1ccccc1", "[O]c1ccccc1", "[CH2]C=O",
    "[CH2]C#N", "[O]C=O", "[C]#N", "F[CH2]", "[CH2]Cl", "[CH](F)F", "[O]Cl",
)
"""Doublets."""
