first edition
